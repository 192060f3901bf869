import NIOCore
import Policy

/// An event loop that brings its own time and its own network: the seam where tests put a whole run of the data plane
/// under a seed. On every other loop time is the monotonic clock's and tasks are reached through sockets.
protocol SimulatedLoop: EventLoop {
    /// Connects the transport to the endpoint, as ``TaskSocket`` does.
    /// - Returns: the channel with the transport in its pipeline; fails as a connect of NIO's fails.
    func connect(
        _ transport: Transport, to address: EndpointAddress, settings: ClusterSettings
    ) -> EventLoopFuture<any Channel>

    /// What a kernel would know about the way of what was sent.
    func facts(of channel: any Channel) -> KernelFacts?
}
