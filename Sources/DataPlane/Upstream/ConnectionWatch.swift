import Policy

/// Watches whether the task behind one connection still lives: a value without a clock, a socket or a timer.
///
/// Whoever owns it notes what is sent and read, calls ``look(now:streams:)`` at ``nextLook(now:streams:)``, and does
/// what it says until it says ``Action/none``. Three questions are asked, each at its own pace:
///
/// - Did the task become ready in time (SETTINGS, then the verification of its service)?
/// - Does the task's kernel acknowledge what was sent? Asked of our own kernel, every ``Times/darkStep`` while
///   something sent is not known to have arrived and nothing is read. A slow task's kernel acknowledges; a lost host's
///   does not.
/// - Does the task speak? Asked by PING, and seldom: most tasks count them (gRFC A8).
///
/// On the path of a request it costs one test per write and three stores per read.
struct ConnectionWatch {
    /// What the owner is to do.
    enum Action: Equatable {
        /// Nothing for now.
        case none
        /// Send a PING.
        case ping
        /// Ask the kernel, and give the answer to ``ConnectionWatch/hear(_:now:)``.
        case askKernel
        /// The task does not acknowledge: no new stream goes there.
        case stall
        /// It acknowledges again.
        case resume
        /// Give the connection up.
        case lose(Loss)
        /// Nobody has used the connection for long.
        case idle
    }

    /// Why a connection is given up.
    enum Loss: Equatable {
        case noSettings
        case notVerified
        case pingUnanswered
        case unacknowledged
    }

    /// The cluster's settings in nanoseconds.
    struct Times {
        let setup: Int64
        let keepaliveInterval: Int64
        let keepaliveTimeout: Int64
        let idle: Int64
        let darkAfter: Int64
        let darkTimeout: Int64

        init(_ settings: ClusterSettings) {
            setup = settings.settingsTimeout.nanoseconds
            keepaliveInterval = settings.keepaliveInterval.nanoseconds
            keepaliveTimeout = settings.keepaliveTimeout.nanoseconds
            idle = settings.idleTimeout.nanoseconds
            darkAfter = settings.darkAfter.nanoseconds
            darkTimeout = max(settings.darkTimeout.nanoseconds, darkAfter)
        }

        /// Between two questions to the kernel.
        var darkStep: Int64 { max(darkAfter / 4, ConnectionWatch.shortestStep) }
    }

    private enum Setup {
        case settings
        case verification
        case done
    }

    private let times: Times
    private var setup = Setup.settings
    private var setupSince: Int64
    private(set) var lastReadAt: Int64
    private var idleSince: Int64

    // Acknowledgement.
    /// Whether something was sent that is not known to have arrived.
    private(set) var mayBeUnacknowledged = false
    private var kernelLookAt: Int64 = 0
    /// Since when, at the latest, bytes have been on their way of which none was acknowledged.
    private var darkSince: Int64?
    /// Whether the task does not acknowledge what it is sent.
    private(set) var isStalled = false

    // Speech.
    /// Whether a stream was started and nothing was read since: a task that answers nothing at all is silent from then
    /// on, however many streams came and went meanwhile.
    private var isAwaiting = false
    /// Since when, as of the first look at it.
    private var awaitingSince: Int64?
    private var pingSentAt: Int64?
    /// PINGs since the task last sent a HEADERS or DATA frame: more than two anger it (gRFC A8).
    private var pingsWithoutData = 0

    private static let pingsWithoutDataMax = 2
    private static let patientKeepalive: Int64 = 300_000_000_000
    /// Nanoseconds: nothing is looked at more often.
    private static let shortestStep: Int64 = 1_000_000

    /// - Parameter now: when the connection was made; nanoseconds of the monotonic clock, as everywhere here.
    init(_ settings: ClusterSettings, now: Int64) {
        times = Times(settings)
        setupSince = now
        lastReadAt = now
        idleSince = now
    }

    // MARK: What happens

    /// Bytes were handed to the socket while ``mayBeUnacknowledged`` was false: a look is due soon.
    mutating func noteSent(now: Int64) {
        mayBeUnacknowledged = true
        kernelLookAt = now + times.darkStep
    }

    /// Bytes were read.
    @inline(__always)
    mutating func noteRead(now: Int64) {
        lastReadAt = now
        isAwaiting = false
        awaitingSince = nil
    }

    /// A stream was started.
    @inline(__always)
    mutating func noteStart() {
        isAwaiting = true
    }

    /// The task sent HEADERS or DATA.
    @inline(__always)
    mutating func noteAnswer() {
        pingsWithoutData = 0
    }

    /// The last stream ended.
    @inline(__always)
    mutating func noteIdle(now: Int64) {
        idleSince = now
    }

    /// SETTINGS came, and the task is asked whether it serves what it should; it has as long again for that.
    mutating func noteVerification(now: Int64) {
        setup = .verification
        setupSince = now
    }

    /// The task is ready for streams.
    mutating func noteReady() {
        setup = .done
    }

    /// Whether the last stream ended less than `rest` nanoseconds ago. Of a connection without streams.
    func isIdleLess(than rest: Int64, now: Int64) -> Bool { now - idleSince < rest }

    // MARK: Evidence

    /// Whether the task was heard within the time after which silence is darkness.
    func isHeard(now: Int64) -> Bool {
        !isStalled && now - lastReadAt < times.darkAfter
    }

    /// Whether nothing speaks against the task: it was heard, or all that it was sent has arrived.
    func isUndoubted(now: Int64) -> Bool {
        !isStalled && (!mayBeUnacknowledged || isHeard(now: now))
    }

    // MARK: Looking

    /// What is to be done next. Call again until it is ``Action/none``, ``Action/lose(_:)`` or ``Action/idle``.
    /// - Parameter streams: open streams.
    mutating func look(now: Int64, streams: Int) -> Action {
        if setup != .done, now - setupSince >= times.setup {
            return .lose(setup == .settings ? .noSettings : .notVerified)
        }
        if isAwaiting, awaitingSince == nil {
            // The start was after the last read and not long ago: its bytes have this look made within a step.
            awaitingSince = mayBeUnacknowledged ? max(lastReadAt, kernelLookAt - times.darkStep) : now
        }
        if let pingSentAt, lastReadAt > pingSentAt { self.pingSentAt = nil }
        if let pingSentAt {
            if now - pingSentAt >= times.keepaliveTimeout { return .lose(.pingUnanswered) }
        } else if let since = silentSince(streams) {
            if now - since >= keepaliveInterval {
                pingSentAt = now
                pingsWithoutData += 1
                return .ping
            }
        } else if now - idleSince >= times.idle {
            return .idle
        }
        guard mayBeUnacknowledged, now >= kernelLookAt else { return .none }
        if darkSince == nil, lastReadAt + times.darkStep > now {
            // It has just been heard.
            kernelLookAt = lastReadAt + times.darkStep
            return .none
        }
        forgetOwnPause(now: now)
        kernelLookAt = now + times.darkStep
        return .askKernel
    }

    /// A look that is late tells of a pause of ours, in which the task may have spoken to nobody: what passed of it is
    /// not counted as the task's silence.
    private mutating func forgetOwnPause(now: Int64) {
        let lateness = now - kernelLookAt
        if lateness > times.darkStep, let since = darkSince { darkSince = since + lateness }
    }

    /// What follows from the kernel's answer.
    /// - Parameter facts: nil where the kernel cannot say.
    mutating func hear(_ facts: KernelFacts?, now: Int64) -> Action {
        guard let facts, facts.hasOutstanding else {
            // What still waits on our side will not be noted as sent again.
            mayBeUnacknowledged = facts?.isBlocked ?? false
            darkSince = nil
            return resume()
        }
        // The outstanding bytes may be younger than the last acknowledgement: they count from the first sight of them.
        let since = max(darkSince ?? now, now - facts.sinceAcknowledgement)
        darkSince = since
        let silence = now - since
        if silence >= times.darkTimeout { return .lose(.unacknowledged) }
        if silence < times.darkAfter {
            kernelLookAt = min(now + times.darkStep, since + times.darkAfter)
            return resume()
        }
        kernelLookAt = min(now + times.darkStep, since + times.darkTimeout)
        if isStalled { return .none }
        isStalled = true
        return .stall
    }

    private mutating func resume() -> Action {
        guard isStalled else { return .none }
        isStalled = false
        return .resume
    }

    /// When to look again, if nothing is sent before on a connection where all had arrived.
    /// - Parameter streams: open streams.
    func nextLook(now: Int64, streams: Int) -> Int64 {
        var next: Int64
        if let pingSentAt {
            next = pingSentAt + times.keepaliveTimeout
        } else if let since = silentSince(streams) {
            next = since + keepaliveInterval
        } else {
            next = idleSince + times.idle
        }
        if mayBeUnacknowledged { next = min(next, kernelLookAt) }
        if setup != .done { next = min(next, setupSince + times.setup) }
        return max(next, now + Self.shortestStep)
    }

    /// Since when the task has been silent although it should speak; nil on a connection at rest.
    private func silentSince(_ streams: Int) -> Int64? {
        awaitingSince ?? (streams > 0 ? lastReadAt : nil)
    }

    private var keepaliveInterval: Int64 {
        pingsWithoutData < Self.pingsWithoutDataMax ? times.keepaliveInterval : Self.patientKeepalive
    }
}

/// What the kernel knows about the way of what was sent.
struct KernelFacts: Equatable {
    /// Segments that were sent and that the peer's kernel has not acknowledged.
    var unacknowledged: Int
    /// Nanoseconds since it last said anything about what it was sent.
    var sinceAcknowledgement: Int64
    /// Whether bytes wait on our side for the socket to take them.
    var isBlocked = false

    var hasOutstanding: Bool { unacknowledged > 0 }
}
