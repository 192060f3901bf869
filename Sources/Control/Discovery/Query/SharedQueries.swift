package import DNS
import Synchronization

/// Lets those who ask the same question at the same time share one query: at most one is in flight for a name, type and
/// first server, and all who wait for it get the same reply.
///
/// Who is cancelled leaves at once; the others wait on. When nobody is left, the query is cancelled too, and whoever
/// asks then starts a new one.
package final class SharedQueries: DNSTransport {
    private struct Question: Hashable {
        let name: DNSName
        let type: DNSRecordType
        let firstServer: Int
    }

    private struct Flight {
        let id: Int
        let task: Task<Void, Never>
        var waiting: [Int: CheckedContinuation<DNSReply, Never>] = [:]
    }

    private struct State {
        /// Numbers both flights and those who wait.
        var lastID = 0
        var flights: [Question: Flight] = [:]

        mutating func nextID() -> Int {
            lastID += 1
            return lastID
        }
    }

    private let transport: any DNSTransport
    private let state = Mutex(State())

    /// - Parameter transport: asks the servers; closed by ``close()``.
    package init(over transport: any DNSTransport) {
        self.transport = transport
    }

    /// Those who wait for an answer, all questions together.
    var waiting: Int { state.withLock { $0.flights.values.reduce(0) { $0 + $1.waiting.count } } }

    package func query(name: DNSName, type: DNSRecordType, firstServer: Int) async -> DNSReply {
        let question = Question(name: name, type: type, firstServer: firstServer)
        let id = state.withLock { $0.nextID() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isWaiting = state.withLock { state in
                    // A cancellation before this point found nobody waiting.
                    guard !Task.isCancelled else { return false }
                    var flight = state.flights[question] ?? launch(question, id: state.nextID())
                    flight.waiting[id] = continuation
                    state.flights[question] = flight
                    return true
                }
                if !isWaiting { continuation.resume(returning: Self.cancelled(question)) }
            }
        } onCancel: {
            leave(question, id: id)
        }
    }

    package func close() async {
        // Ends what is in flight, and each reply reaches those who wait for it.
        await transport.close()
    }

    private func launch(_ question: Question, id: Int) -> Flight {
        let task = Task {
            let reply = await transport.query(
                name: question.name, type: question.type, firstServer: question.firstServer)
            land(question, id: id, reply)
        }
        return Flight(id: id, task: task)
    }

    private func land(_ question: Question, id: Int, _ reply: DNSReply) {
        let flight = state.withLock { state -> Flight? in
            // One that all have left may land behind its successor.
            guard state.flights[question]?.id == id else { return nil }
            return state.flights.removeValue(forKey: question)
        }
        for continuation in (flight?.waiting ?? [:]).values { continuation.resume(returning: reply) }
    }

    private func leave(_ question: Question, id: Int) {
        let (waiter, abandoned) = state.withLock { state in
            let waiter = state.flights[question]?.waiting.removeValue(forKey: id)
            let isAbandoned = waiter != nil && state.flights[question]?.waiting.isEmpty == true
            return (waiter, isAbandoned ? state.flights.removeValue(forKey: question) : nil)
        }
        abandoned?.task.cancel()
        waiter?.resume(returning: Self.cancelled(question))
    }

    private static func cancelled(_ question: Question) -> DNSReply {
        DNSReply(.failure(DNSFailure(.cancelled, name: question.name.description)))
    }
}
