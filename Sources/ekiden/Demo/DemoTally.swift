/// The sums for the last line.
actor DemoTally {
    private var calls = 0
    private var failed = 0
    private var killed = 0
    private var drained = 0
    private var added = 0

    func count(_ sample: LoadSample) {
        calls += sample.ended
        failed += sample.failed
    }

    func count(_ act: DemoScript.Act) {
        switch act {
        case .kill: killed += 1
        case .drain: drained += 1
        case .add: added += 1
        }
    }

    /// `12345 calls, 3 failed; tasks: 2 killed, 1 added, 1 drained`.
    var summary: String {
        "\(calls) calls, \(failed) failed; tasks: \(killed) killed, \(added) added, \(drained) drained"
    }
}
