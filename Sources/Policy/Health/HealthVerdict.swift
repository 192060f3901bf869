/// What one check of an endpoint has shown.
package enum HealthResult: Sendable, Equatable {
    case passed
    /// Why not: `NOT_SERVING`, `connection refused`, `no answer within 1.0 s`.
    case failed(String)
    /// The check could not be made, for a reason of this host: says nothing about the endpoint.
    case inconclusive(String)
}

/// Whether an endpoint is well, by the results of its checks. A value without clock.
///
/// The very first result decides alone, whatever it is; after it, it takes as many in a row as the settings say to
/// change the verdict, since a check may fail by accident. What a task says of itself, unasked, is no accident: it
/// decides alone, too.
package struct HealthVerdict: Sendable, Equatable {
    /// What a change is, and why.
    package struct Change: Sendable, Equatable {
        /// `healthy` or `unhealthy`.
        package let state: EndpointHealth.State
        /// Of the last failure; nil when the endpoint is well.
        package let reason: String?
        /// Results in a row that brought it about.
        package let checks: Int
        /// Whether there was no verdict before.
        package let isFirst: Bool
    }

    /// What the endpoint counts as.
    package private(set) var state: EndpointHealth.State
    /// Why it counts as ill: of the last failure; nil when it does not.
    package private(set) var reason: String?
    private var isDecided: Bool
    /// Results in a row that speak against ``state``.
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
        case .inconclusive:
            return nil
        }
        guard shown != state else {
            self.reason = reason
            isDecided = true
            contrary = 0
            return nil
        }
        contrary += 1
        guard !isDecided || isStatement || contrary >= threshold else { return nil }
        let change = Change(
            state: shown, reason: reason, checks: contrary, isFirst: state == .unchecked || state == .pending)
        state = shown
        self.reason = reason
        isDecided = true
        contrary = 0
        return change
    }
}
