/// What discovery says about an endpoint beside its address. May change while the endpoint stays.
package struct EndpointTraits: Hashable, Sendable {
    /// Share of the streams relative to the other endpoints of its priority; at least 1.
    package var weight: Int
    /// A lower number is preferred; the next one is used only while no endpoint of this one can be reached (RFC 2782).
    package var priority: Int
    /// Labels of the task: zone, version, role. For `/clusters` and for choosing among endpoints.
    package var attributes: [String: String]

    package init(weight: Int = 1, priority: Int = 0, attributes: [String: String] = [:]) {
        self.weight = weight
        self.priority = priority
        self.attributes = attributes
    }
}
