/// Asks name servers. The resolver sees only this, so that it is tested without sockets.
package protocol DNSTransport: Sendable {
    /// One question with all its tries and servers. Ends soon after the task is cancelled, then as `.cancelled`.
    func query(name: DNSName, type: DNSRecordType) async -> Result<DNSAnswer, DNSFailure>

    /// Ends every query under way and each later one as `.cancelled`, and gives sockets and threads back.
    func close() async
}
