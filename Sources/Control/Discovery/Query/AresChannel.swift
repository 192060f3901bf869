import CCares
import DNS
import Policy

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// One c-ares channel to one name server: the only code that touches c-ares (API of 1.18).
///
/// A channel knows one server, and one try, because c-ares does not say which server an answer came from, and loses
/// SERVFAIL and REFUSED when it goes on to the next server by itself. ``DNSClient`` does that part.
///
/// Confined to the thread of ``AresLoop``; completions run inside ``process(readable:writable:)``,
/// ``processTimeouts()``, ``query(name:type:completion:)`` or `deinit`, and must not call back into the channel.
final class AresChannel {
    typealias Completion = (Result<[UInt8], DNSFailure.Kind>) -> Void

    private let channel: ares_channel

    /// The size that passes nearly every path unfragmented (DNS flag day 2020).
    private static let ednsPacketSize: Int32 = 1232

    /// c-ares counts these calls; one for the life of the process is enough.
    private static let libraryStatus = ares_library_init(ARES_LIB_INIT_ALL)

    init(server: EndpointAddress, timeout: Duration) throws(AresError) {
        try AresError.check(Self.libraryStatus)
        var options = ares_options()
        // NOCHECKRESP: hand out SERVFAIL, NOTIMP and REFUSED instead of hiding them behind a try of the next server.
        // NOSEARCH and NOALIASES: the name is taken as fully qualified. IGNTC stays off: a cut answer is asked for
        // again over TCP.
        options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_NOCHECKRESP | ARES_FLAG_EDNS
        options.timeout = Int32(clamping: max(timeout.wholeMilliseconds, 1))
        options.tries = 1
        options.ednspsz = Self.ednsPacketSize
        let given = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ
        var channel: ares_channel?
        try AresError.check(ares_init_options(&channel, &options, given))
        guard let channel else { throw AresError(status: ARES_ENOTINITIALIZED) }
        let status = ares_set_servers_ports_csv(channel, server.description)
        guard status == ARES_SUCCESS else {
            ares_destroy(channel)
            throw AresError(status: status)
        }
        self.channel = channel
    }

    /// Ends what is under way as `.cancelled`.
    deinit {
        ares_destroy(channel)
    }

    /// Sends a query; `completion` is called exactly once, with the raw answer of whatever response code.
    func query(name: DNSName, type: DNSRecordType, completion: @escaping Completion) {
        let box = Unmanaged.passRetained(CompletionBox(completion))
        let callback: ares_callback = { argument, status, _, answer, length in
            guard let argument else { return }
            let completion = Unmanaged<CompletionBox>.fromOpaque(argument).takeRetainedValue().completion
            if let answer, length > 0 {
                completion(.success(Array(UnsafeBufferPointer(start: answer, count: Int(length)))))
            } else {
                completion(.failure(AresError(status: status).failureKind))
            }
        }
        ares_query(
            channel, name.description, Int32(DNSRecord.internetClass), Int32(type.rawValue), callback, box.toOpaque())
    }

    struct Interest {
        let descriptor: Int32
        let readable: Bool
        let writable: Bool
    }

    /// The sockets to watch; they change with every call into the channel.
    var interests: [Interest] {
        let maximum = Int(ARES_GETSOCK_MAXNUM)
        var sockets = [ares_socket_t](repeating: ares_socket_t(ARES_SOCKET_BAD), count: maximum)
        let bits = ares_getsock(channel, &sockets, Int32(maximum))
        // The macros ARES_GETSOCK_READABLE and _WRITABLE, which Swift cannot import: the low and the high half.
        return sockets.enumerated().compactMap { index, socket in
            let readable = bits & (1 << Int32(index)) != 0
            let writable = bits & (1 << Int32(index + maximum)) != 0
            return readable || writable ? Interest(descriptor: socket, readable: readable, writable: writable) : nil
        }
    }

    /// Reads and writes the sockets that are ready, and ends queries whose time is over.
    func process(readable: Int32?, writable: Int32?) {
        ares_process_fd(channel, readable ?? ARES_SOCKET_BAD, writable ?? ARES_SOCKET_BAD)
    }

    func processTimeouts() {
        process(readable: nil, writable: nil)
    }

    /// Milliseconds to the next timeout, rounded up; nil when nothing is under way.
    var millisecondsToTimeout: Int32? {
        let milliseconds = ekiden_ares_milliseconds_to_timeout(channel)
        return milliseconds >= 0 ? Int32(clamping: milliseconds) : nil
    }

    /// What ``SystemResolver/read(path:)`` says, by a channel that asks nothing.
    static func systemResolver(path: String?) throws(AresError) -> SystemResolver {
        try AresError.check(libraryStatus)
        var options = ares_options()
        options.resolvconf_path = path.map { strdup($0) } ?? nil
        defer { free(options.resolvconf_path) }
        var channel: ares_channel?
        try AresError.check(ares_init_options(&channel, &options, path == nil ? 0 : ARES_OPT_RESOLVCONF))
        guard let channel else { throw AresError(status: ARES_ENOTINITIALIZED) }
        defer { ares_destroy(channel) }
        return SystemResolver(servers: try servers(of: channel), searchList: try searchList(of: channel))
    }

    private static func servers(of channel: ares_channel) throws(AresError) -> [EndpointAddress] {
        var list: UnsafeMutablePointer<ares_addr_port_node>?
        try AresError.check(ares_get_servers_ports(channel, &list))
        defer { ares_free_data(list) }
        var servers: [EndpointAddress] = []
        var next = list
        while let node = next?.pointee {
            let size = node.family == AF_INET ? 4 : 16
            let bytes = withUnsafeBytes(of: node.addr) { Array($0.prefix(size)) }
            if let address = IPAddress(bytes: bytes) {
                servers.append(
                    EndpointAddress(host: address.description, port: node.udp_port == 0 ? 53 : Int(node.udp_port)))
            }
            next = node.next
        }
        return servers
    }

    /// Entries that are no host names are left out, among them the root, which is every name's own first candidate.
    private static func searchList(of channel: ares_channel) throws(AresError) -> SearchList {
        var options = ares_options()
        var given: Int32 = 0
        try AresError.check(ares_save_options(channel, &options, &given))
        defer { ares_destroy_options(&options) }
        let texts = UnsafeBufferPointer(start: options.domains, count: Int(options.ndomains))
        let domains = texts.compactMap { text in text.flatMap { DNSName(String(cString: $0)) } }
        return SearchList(domains: domains, ndots: Int(options.ndots))
    }
}

/// A status code of c-ares that is not success.
struct AresError: Error, CustomStringConvertible {
    let status: Int32

    var description: String { String(cString: ares_strerror(status)) }

    static func check(_ status: Int32) throws(AresError) {
        if status != ARES_SUCCESS { throw AresError(status: status) }
    }

    var failureKind: DNSFailure.Kind {
        switch status {
        case ARES_ETIMEOUT: .timeout
        case ARES_ECONNREFUSED: .unreachable
        case ARES_EBADNAME: .invalidName
        case ARES_EDESTRUCTION, ARES_ECANCELLED: .cancelled
        default: .system(description)
        }
    }
}

/// Carries a closure through C's `void *`.
private final class CompletionBox {
    let completion: AresChannel.Completion

    init(_ completion: @escaping AresChannel.Completion) {
        self.completion = completion
    }
}

extension Duration {
    fileprivate var wholeMilliseconds: Int64 {
        components.seconds * 1_000 + components.attoseconds / 1_000_000_000_000_000
    }
}
