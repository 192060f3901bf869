import NIOCore

/// Drives a worker's ``TimerWheel`` with one scheduled task of its event loop, whatever the number of timers.
final class WorkerTimers {
    private let turn: Turn
    private let wheel: TimerWheel
    private var scheduled: Scheduled<Void>?
    private var scheduledFor: Int64 = .max

    init(turn: Turn) {
        self.turn = turn
        wheel = TimerWheel(now: turn.now)
    }

    /// Arms the timer, or moves it.
    /// - Parameter deadline: nanoseconds of the monotonic clock.
    func arm(_ timer: WheelTimer, at deadline: Int64) {
        if wheel.isEmpty { wheel.advance(to: turn.now) }
        wheel.arm(timer, at: deadline)
        if deadline < scheduledFor { schedule() }
    }

    func cancel(_ timer: WheelTimer) {
        wheel.cancel(timer)
    }

    private func schedule() {
        scheduled?.cancel()
        scheduled = nil
        guard let deadline = wheel.nextDeadline else {
            scheduledFor = .max
            return
        }
        scheduledFor = deadline
        let bound = NIOLoopBound(self, eventLoop: turn.eventLoop)
        scheduled = turn.eventLoop.scheduleTask(deadline: .uptimeNanoseconds(UInt64(max(deadline, 0)))) {
            bound.value.fire()
        }
    }

    private func fire() {
        scheduled = nil
        scheduledFor = .max
        wheel.advance(to: turn.now)
        schedule()
    }
}
