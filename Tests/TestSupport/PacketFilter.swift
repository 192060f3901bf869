package import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A filter on a socket that lets nothing in (BPF's `ret 0`): what comes is dropped before TCP sees it, so that nothing
/// is acknowledged and no SYN is answered. Needs no privileges.
package enum PacketFilter {
    /// `struct sock_filter` of linux/filter.h.
    private struct Instruction {
        var code: UInt16
        var jumpIfTrue: UInt8 = 0
        var jumpIfFalse: UInt8 = 0
        var value: UInt32 = 0
    }

    /// `struct sock_fprog`.
    private struct Program: @unchecked Sendable {
        var count: UInt16
        var instructions: UnsafeMutablePointer<Instruction>
    }

    /// BPF_RET | BPF_K. Lives as long as the process.
    private static let dropAll: Program = {
        let instructions = UnsafeMutablePointer<Instruction>.allocate(capacity: 1)
        instructions.initialize(to: Instruction(code: 6))
        return Program(count: 1, instructions: instructions)
    }()

    struct NoSocket: Error {}

    /// Sets the filter on a channel's socket, or takes it off.
    package static func set(_ isOn: Bool, on channel: any Channel) async throws {
        guard let provider = channel as? any SocketOptionProvider else { throw NoSocket() }
        if isOn {
            try await provider.unsafeSetSocketOption(
                level: .socket, name: NIOBSDSocket.Option(rawValue: SO_ATTACH_FILTER), value: dropAll
            ).get()
        } else {
            try await provider.unsafeSetSocketOption(
                level: .socket, name: NIOBSDSocket.Option(rawValue: SO_DETACH_FILTER), value: CInt(0)
            ).get()
        }
    }
}
