/// An attempt's place in a queue. Cancelling it costs nothing; the queue drops it when it comes by.
final class PendingTicket {
    fileprivate var attempt: Attempt?
    private let cluster: ClusterPool
    /// Nanoseconds of the monotonic clock.
    let deadline: Int64

    fileprivate init(attempt: Attempt, cluster: ClusterPool, deadline: Int64) {
        self.attempt = attempt
        self.cluster = cluster
        self.deadline = deadline
        cluster.notePending(1)
    }

    /// Leaves the queue.
    func cancel() {
        if attempt == nil { return }
        attempt = nil
        cluster.notePending(-1)
    }

    fileprivate func take() -> Attempt? {
        defer { cancel() }
        return attempt
    }
}

/// Attempts that wait for a slot, in the order of their coming. Deadlines in one queue never go down, since the
/// patience of a cluster is one.
final class PendingQueue {
    private var tickets: ContiguousArray<PendingTicket> = []
    private var head = 0

    func append(_ attempt: Attempt, cluster: ClusterPool, deadline: Int64) -> PendingTicket {
        let ticket = PendingTicket(attempt: attempt, cluster: cluster, deadline: deadline)
        tickets.append(ticket)
        return ticket
    }

    var isEmpty: Bool {
        dropCancelled()
        return head == tickets.count
    }

    /// Tickets, cancelled ones that were not dropped yet included: an upper bound.
    var countAtMost: Int { tickets.count - head }

    /// When the oldest loses its patience.
    var nextDeadline: Int64? {
        isEmpty ? nil : tickets[head].deadline
    }

    func pop() -> Attempt? {
        dropCancelled()
        guard head < tickets.count else { return nil }
        let ticket = tickets[head]
        head += 1
        compact()
        return ticket.take()
    }

    /// The oldest, if its deadline has passed.
    func pop(dueBy now: Int64) -> Attempt? {
        guard let nextDeadline, nextDeadline <= now else { return nil }
        return pop()
    }

    private func dropCancelled() {
        while head < tickets.count, tickets[head].attempt == nil { head += 1 }
        compact()
    }

    private func compact() {
        if head == tickets.count {
            tickets.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 256 {
            tickets.removeFirst(head)
            head = 0
        }
    }
}
