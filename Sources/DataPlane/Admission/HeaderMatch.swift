import HTTP2
import Policy

extension HeaderBlock {
    /// The bytes of the value of a field, first occurrence, or nil. Looks at every field: for names that are known from
    /// the configuration only. Valid until the block changes.
    /// - Parameter name: in lower case, as names are in HTTP/2.
    func value(named name: String) -> UnsafeBufferPointer<UInt8>? {
        let wanted = name.utf8
        for index in 0..<count {
            let candidate = self.name(at: index)
            if candidate.count == wanted.count, candidate.elementsEqual(wanted) { return value(at: index) }
        }
        return nil
    }

    /// Whether there is such a field, and with this value if one is given. Of a name that stands several times any may
    /// be the one.
    func matches(name: String, value: String?) -> Bool {
        guard let value else { return self.value(named: name) != nil }
        for index in 0..<count where self.name(at: index).elementsEqual(name.utf8) {
            if self.value(at: index).elementsEqual(value.utf8) { return true }
        }
        return false
    }

    /// Whether the request is one of those that get faults.
    func matches(_ policy: FaultPolicy) -> Bool {
        guard let header = policy.header else { return true }
        return matches(name: header.name, value: header.value)
    }
}
