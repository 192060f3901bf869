/// Timers of one worker: inserting, moving and cancelling cost a few list operations whatever their number.
///
/// Three levels of 256 slots: milliseconds, quarter seconds, minutes; a timer beyond that (about 4.6 hours) waits in
/// the last slot and is put off again. A timer never fires early, and at most a millisecond late by the wheel's own
/// doing. Time is an argument. Confined to one thread.
package final class TimerWheel {
    private static let slots = 256
    private static let levels = 3
    private static let tick: Int64 = 1_000_000

    /// Heads of the slots' lists: sentinels, so that no operation has a special case.
    private let heads: [WheelTimer]
    /// The tick up to which everything has fired.
    private var current: Int64
    private var count = 0

    /// - Parameter now: nanoseconds of the monotonic clock.
    package init(now: Int64) {
        current = now / Self.tick
        heads = (0..<Self.slots * Self.levels).map { _ in WheelTimer {} }
    }

    deinit {
        // Timers may outlive the wheel; their links must not.
        for head in heads {
            while let timer = head.first {
                timer.unlink()
                timer.wheel = nil
            }
        }
    }

    package var isEmpty: Bool { count == 0 }

    /// Arms the timer for `deadline` (nanoseconds of the monotonic clock), or moves it there.
    package func arm(_ timer: WheelTimer, at deadline: Int64) {
        cancel(timer)
        timer.expiryTick = max((deadline + Self.tick - 1) / Self.tick, current + 1)
        timer.wheel = self
        insert(timer)
        count += 1
    }

    package func cancel(_ timer: WheelTimer) {
        guard timer.isArmed else { return }
        timer.unlink()
        timer.wheel = nil
        count -= 1
    }

    /// Fires everything that is due. A timer may arm and cancel any timer while it fires.
    package func advance(to now: Int64) {
        let target = now / Self.tick
        while current < target {
            if count == 0 {
                current = target
                return
            }
            current += 1
            let slot = Int(current % Int64(Self.slots))
            if slot == 0 { cascade(level: 1) }
            fire(heads[slot])
        }
    }

    /// When ``advance(to:)`` has something to do next; nil when nothing is armed. May be earlier than the next expiry
    /// (a slot to be spread), never later.
    package var nextDeadline: Int64? {
        guard count > 0 else { return nil }
        for step in 1...Self.slots {
            let tick = current + Int64(step)
            if tick % Int64(Self.slots) == 0 || !heads[Int(tick % Int64(Self.slots))].isAlone {
                // At a border of the first level the next slot of the second is spread: look again there.
                return tick * Self.tick
            }
        }
        return (current + Int64(Self.slots)) * Self.tick
    }

    private func insert(_ timer: WheelTimer) {
        let distance = timer.expiryTick - current
        let slots = Int64(Self.slots)
        let index: Int
        if distance < slots {
            index = Int(timer.expiryTick % slots)
        } else if distance < slots * slots {
            index = Self.slots + Int(timer.expiryTick / slots % slots)
        } else {
            let capped = min(timer.expiryTick, current + slots * slots * (slots - 1))
            index = 2 * Self.slots + Int(capped / (slots * slots) % slots)
        }
        timer.link(before: heads[index])
    }

    /// Spreads the slot of `level` that begins now over the finer levels.
    private func cascade(level: Int) {
        guard level < Self.levels else { return }
        let slots = Int64(Self.slots)
        let position = level == 1 ? current / slots : current / (slots * slots)
        let slot = Int(position % slots)
        if slot == 0 { cascade(level: level + 1) }
        let head = heads[level * Self.slots + slot]
        let chain = WheelTimer {}
        chain.takeOver(head)
        while let timer = chain.first {
            timer.unlink()
            if timer.expiryTick <= current {
                // Due at the border itself: into the slot that fires next.
                timer.link(before: heads[Int(current % slots)])
            } else {
                insert(timer)
            }
        }
    }

    private func fire(_ head: WheelTimer) {
        if head.isAlone { return }
        let due = WheelTimer {}
        due.takeOver(head)
        while let timer = due.first {
            timer.unlink()
            if timer.expiryTick > current {
                insert(timer)
                continue
            }
            timer.wheel = nil
            count -= 1
            timer.action()
        }
    }
}

/// One timer of a ``TimerWheel``: made once, armed as often as needed. Whoever holds it cancels it before letting go.
package final class WheelTimer {
    fileprivate let action: () -> Void
    fileprivate var expiryTick: Int64 = 0
    private unowned(unsafe) var previous: WheelTimer?
    private unowned(unsafe) var next: WheelTimer?

    package init(action: @escaping () -> Void) {
        self.action = action
    }

    /// Set while the timer is armed; sentinels have none.
    fileprivate unowned(unsafe) var wheel: TimerWheel?

    deinit {
        // Armed timers are not held: an owner that forgot to cancel must not leave a dangling link behind.
        wheel?.cancel(self)
    }

    package var isArmed: Bool { next != nil }

    // A sentinel's list is a ring; nil links mean a ring of one.
    fileprivate var isAlone: Bool { next == nil || next === self }
    fileprivate var first: WheelTimer? { isAlone ? nil : next }

    fileprivate func link(before sentinel: WheelTimer) {
        if sentinel.next == nil {
            sentinel.next = sentinel
            sentinel.previous = sentinel
        }
        previous = sentinel.previous
        next = sentinel
        sentinel.previous?.next = self
        sentinel.previous = self
    }

    fileprivate func unlink() {
        previous?.next = next
        next?.previous = previous
        previous = nil
        next = nil
    }

    /// Moves the list of another sentinel to this one.
    fileprivate func takeOver(_ other: WheelTimer) {
        guard !other.isAlone else { return }
        next = other.next
        previous = other.previous
        next?.previous = self
        previous?.next = self
        other.next = nil
        other.previous = nil
    }
}
