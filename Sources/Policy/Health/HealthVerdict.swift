/// What one check of an endpoint has shown.
package enum HealthResult: Sendable, Equatable {
    case passed
    /// Why not: `NOT_SERVING`, `connection refused`, `no answer within 1s`.
    case failed(String)
    /// The check could not be made, for a reason of this host: says nothing about the endpoint.
    case inconclusive(String)
}

/// Whether an endpoint is well, by the results of its checks. A value without clock.
///
/// The very first result decides alone, whatever it is; after it, it takes as many in a row as the settings say to
/// change the verdict, since a check may fail by accident. What a task says of itself, unasked, is no accident: it
/// decides alone, too.
///
/// Checks that cannot be made change nothing for an endpoint in use. One that still waits for its first result gets no
/// streams for want of it, so as many of them in a row as failures count as ill, with their reason. That is no
/// decision yet: the first result decides alone, as ever.
package struct HealthVerdict: Sendable, Equatable {
    /// What a change is, and why.
    package struct Change: Sendable, Equatable {
        /// `healthy` or `unhealthy`.
        package let state: EndpointHealth.State
        /// Of the last failure, or why no check could be made; nil when the endpoint is well.
        package let reason: String?
        /// Results in a row that brought it about.
        package let checks: Int
        /// Whether there was no verdict before.
        package let isFirst: Bool
    }

    /// What the endpoint counts as.
    package private(set) var state: EndpointHealth.State
    /// Why it counts as ill: of the last failure; or why it could not be checked so far; nil when it is neither.
    package private(set) var reason: String?
    /// Whether a check has had a result.
    package private(set) var isDecided: Bool
    /// Results in a row that speak against ``state``; of one that is pending, checks that could not be made.
    private var contrary = 0

    /// - Parameters:
    ///   - state: what the endpoint counts as until the first result. One that was decided before stays decided: what
    ///     changes it then takes as many results as ever.
    ///   - reason: why it counts as ill, if it does.
    package init(state: EndpointHealth.State, reason: String? = nil) {
        self.state = state
        self.reason = reason
        isDecided = state == .healthy || state == .unhealthy
    }

    /// Takes in a result.
    /// - Parameter isStatement: whether the task said it unasked.
    /// - Returns: what it changed; nil when nothing.
    package mutating func take(
        _ result: HealthResult, isStatement: Bool = false, _ settings: HealthCheckSettings
    ) -> Change? {
        let shown: EndpointHealth.State
        let threshold: Int
        var reason: String?
        switch result {
        case .passed:
            (shown, threshold) = (.healthy, settings.healthyThreshold)
        case .failed(let text):
            (shown, threshold, reason) = (.unhealthy, settings.unhealthyThreshold, text)
        case .inconclusive(let text):
            return takeObstacle(text, settings)
        }
        guard shown != state else {
            self.reason = reason
            isDecided = true
            contrary = 0
            return nil
        }
        contrary += 1
        guard !isDecided || isStatement || contrary >= threshold else { return nil }
        // Checks that could not be made before it have no part in it.
        let checks = isDecided ? contrary : 1
        isDecided = true
        return turn(shown, reason, checks: checks)
    }

    /// A check that could not be made.
    private mutating func takeObstacle(_ text: String, _ settings: HealthCheckSettings) -> Change? {
        guard state == .pending else { return nil }
        contrary += 1
        if contrary >= settings.unhealthyThreshold { return turn(.unhealthy, text, checks: contrary) }
        reason = text
        return nil
    }

    private mutating func turn(_ new: EndpointHealth.State, _ reason: String?, checks: Int) -> Change {
        let change = Change(
            state: new, reason: reason, checks: checks, isFirst: state == .unchecked || state == .pending)
        state = new
        self.reason = reason
        contrary = 0
        return change
    }
}
