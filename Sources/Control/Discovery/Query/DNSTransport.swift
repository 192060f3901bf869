package import DNS
package import Policy

/// Asks name servers. The resolver sees only this, so that it is tested without sockets.
package protocol DNSTransport: Sendable {
    /// One question with all its tries and servers. Ends soon after the task is cancelled, then as `.cancelled`.
    /// - Parameter firstServer: how far the order of the servers is turned; 0 asks them as configured. Each server has
    ///   a cache of its own, so that another one may know another part of an answer that was cut.
    func query(name: DNSName, type: DNSRecordType, firstServer: Int) async -> DNSReply

    /// Ends every query under way and each later one as `.cancelled`, and gives sockets and threads back.
    func close() async
}

/// How a question went.
package struct DNSReply: Sendable {
    package var result: Result<DNSAnswer, DNSFailure>
    /// Every server that was asked, in order.
    package var attempts: [DNSAttempt]

    package init(_ result: Result<DNSAnswer, DNSFailure>, attempts: [DNSAttempt] = []) {
        self.result = result
        self.attempts = attempts
    }
}

/// One question to one server.
package struct DNSAttempt: Sendable {
    package var name: DNSName
    package var type: DNSRecordType
    /// Nil when no server could be asked.
    package var server: EndpointAddress?
    package var result: Result<DNSAnswer, DNSFailure>
    package var elapsed: Duration

    package init(
        name: DNSName, type: DNSRecordType, server: EndpointAddress?, result: Result<DNSAnswer, DNSFailure>,
        elapsed: Duration
    ) {
        self.name = name
        self.type = type
        self.server = server
        self.result = result
        self.elapsed = elapsed
    }
}
