import Control
import NIOCore
import NIOPosix
import Policy

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// An address that nobody listens on.
struct FreeAddress: Sendable {
    let address: ListenAddress
    /// The usual address that somebody else has; nil when this is the one that was wished for.
    let taken: ListenAddress?

    /// Takes the address that was asked for, and where none was, the usual one or another port beside it.
    ///
    /// The address is tried with a socket of its own: the mesh's listeners share their port (`SO_REUSEPORT`), so they
    /// would open beside another Ekiden's and each get half of the callers.
    /// - Throws: ``DemoProblem`` when `wish` can't be had.
    static func find(_ wish: ListenAddress?, else usual: ListenAddress) async throws -> FreeAddress {
        if let wish {
            do {
                return FreeAddress(address: try await bound(wish), taken: nil)
            } catch let error as IOError {
                throw DemoProblem("cannot listen on \(wish): \(BindErrors.text(error))")
            }
        }
        if let address = try? await bound(usual) { return FreeAddress(address: address, taken: nil) }
        guard case .ip(let host, _) = usual else { return FreeAddress(address: usual, taken: nil) }
        do {
            return FreeAddress(address: try await bound(.ip(host: host, port: 0)), taken: usual)
        } catch let error as IOError {
            throw DemoProblem("cannot listen on \(host): \(BindErrors.text(error))")
        }
    }

    /// Binds and closes again. A Unix socket is left for its listener to find out.
    private static func bound(_ address: ListenAddress) async throws -> ListenAddress {
        guard case .ip(let host, let port) = address else { return address }
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(to: SocketAddress(ipAddress: host, port: port)).get()
        let free = ListenAddress.ip(host: host, port: channel.localAddress?.port ?? port)
        try await channel.close()
        return free
    }
}

/// Why a socket can't listen, in words.
enum BindErrors {
    static func text(_ error: IOError) -> String {
        switch error.errnoCode {
        case EADDRINUSE: "the address is in use by another process"
        case EADDRNOTAVAIL: "this host has no such address"
        case EACCES: "not permitted (ports below 1024 need the capability CAP_NET_BIND_SERVICE)"
        default: "\(error)"
        }
    }
}

/// Why the demo can't start, as a sentence.
struct DemoProblem: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
