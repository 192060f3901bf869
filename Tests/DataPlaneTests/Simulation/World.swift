import HTTP2
import NIOCore

/// What all parts of one run share. Confined to the thread that runs it.
final class World {
    let loop = SimulationLoop()
    let network: SimulatedNetwork
    let ledger: Ledger
    /// Header blocks of callers and tasks; the proxy has its own.
    let blocks = HeaderBlockPool()
    let sabotage: Sabotage?
    /// Whether the faults are over.
    var isCalm = false

    init(chance: Chance, isTracing: Bool, sabotage: Sabotage?) {
        self.sabotage = sabotage
        network = SimulatedNetwork(loop: loop, chance: chance)
        ledger = Ledger(loop: loop, isTracing: isTracing)
    }
}
