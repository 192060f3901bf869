/// What an attempt's end means for its exchange.
package enum RetryDecision: Sendable, Equatable {
    /// Another attempt, after this many nanoseconds.
    case retry(after: Int64)
    /// The policy does not cover it: what came is the answer.
    case final
    /// The policy covers it, but all attempts are used up, or there is no time for another one.
    case exhausted
    /// The task asked not to be tried again, or not before there is no time left.
    case stopped
}

/// When a task wants to be tried again (`grpc-retry-pushback-ms`, gRFC A6).
package enum RetryPushback: Sendable, Equatable {
    /// After this many nanoseconds, and not at a time of our choice.
    case after(Int64)
    /// Never: a negative number, or none.
    case never

    /// Nanoseconds; whoever asks for more gets no further attempt: a call is not kept for days.
    package static let longest: Int64 = 60_000_000_000

    package init(_ text: some Collection<UInt8>) {
        var milliseconds: Int64 = 0
        guard !text.isEmpty, text.count <= 9 else {
            self = .never
            return
        }
        for byte in text {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else {
                self = .never
                return
            }
            milliseconds = milliseconds * 10 + Int64(byte - UInt8(ascii: "0"))
        }
        self = .after(milliseconds * 1_000_000)
    }
}

extension RetryPolicy {
    /// Whether an attempt that ended so may be followed by another one, its number aside.
    /// - Parameter isIdempotent: whether the call may run twice.
    package func covers(_ result: AttemptResult, isIdempotent: Bool) -> Bool {
        switch result {
        case .grpc(let code): GRPCStatus(rawValue: code).map(grpcStatuses.contains) ?? false
        case .http(let status): httpStatuses.contains(status)
        case .reset: isIdempotent || conditions.contains(.reset)
        case .timedOut: isIdempotent || conditions.contains(.timeout)
        // A task that died took the call's fate with it.
        case .lost: isIdempotent
        case .connectFailure, .refused: isIdempotent || conditions.contains(.connectFailure)
        case .abandoned: false
        }
    }

    /// Decides on another attempt.
    /// - Parameters:
    ///   - attempts: made so far that a task may have seen.
    ///   - pushback: what the task asked for.
    ///   - timeLeft: nanoseconds until the deadline; nil without one.
    package func decide(
        after result: AttemptResult, isIdempotent: Bool, attempts: Int, pushback: RetryPushback?, timeLeft: Int64?,
        random: inout SplitMix64
    ) -> RetryDecision {
        guard covers(result, isIdempotent: isIdempotent) else { return .final }
        guard attempts < maxAttempts else { return .exhausted }
        let pause: Int64
        switch pushback {
        case .never: return .stopped
        case .after(let asked):
            if asked > RetryPushback.longest || timeLeft.map({ asked >= $0 }) ?? false { return .stopped }
            return .retry(after: asked)
        case nil: pause = backoff(retry: attempts, random: &random)
        }
        if let timeLeft, pause >= timeLeft { return .exhausted }
        return .retry(after: pause)
    }

    /// A random pause with full jitter: as likely short as long, so that those who failed together do not come back
    /// together.
    /// - Parameter retry: the retry's number, from 1.
    package func backoff(retry: Int, random: inout SplitMix64) -> Int64 {
        let ceiling = min(
            backoffBase.nanoseconds << Int64(min(max(retry - 1, 0), 20)), backoffMax.nanoseconds)
        return ceiling <= 0 ? 0 : Int64(random.below(Int(ceiling)))
    }
}

extension HedgingPolicy {
    /// Whether an attempt that ended so leaves the exchange to the others.
    package func isNonFatal(_ result: AttemptResult) -> Bool {
        switch result {
        case .grpc(let code): GRPCStatus(rawValue: code).map(nonFatalStatuses.contains) ?? false
        case .http(let status): (502...504).contains(status)
        case .reset, .lost, .connectFailure, .timedOut, .refused: true
        case .abandoned: false
        }
    }
}
