import Synchronization

/// `least_request` and `peak_ewma`: the less loaded of two that are drawn by lot (Mitzenmacher 2001).
///
/// Looking at all would send every worker to the same endpoint in the same moment; two draws spread nearly as well.
/// Where weights differ, a draw falls on an endpoint as often as its weight says, and load is relative to it.
extension EndpointSearch {
    mutating func lessLoaded(_ group: EndpointGroup) -> Int {
        let turns = group.turns.count
        for _ in 0..<4 {
            let firstTurn = random.below(turns)
            var secondTurn = random.below(max(turns - 1, 1))
            if secondTurn >= firstTurn { secondTurn = (secondTurn + 1) % turns }
            let first = group.index(at: firstTurn)
            let second = group.index(at: secondTurn)
            let firstFits = takes(first) && (trial != nil || !isHeldBack(first, in: group))
            if let trial { return trial }
            let secondFits = takes(second) && (trial != nil || !isHeldBack(second, in: group))
            if let trial { return trial }
            switch (firstFits, secondFits) {
            case (true, true): return isMoreLoaded(first, than: second) ? second : first
            case (true, false): return first
            case (false, true): return second
            case (false, false): continue
            }
        }
        return lot(group)
    }

    /// Equals keep the first draw, which follows the weights.
    private func isMoreLoaded(_ first: Int, than second: Int) -> Bool {
        let firstActive = cluster.endpoints[first].activeStreams.load(ordering: .relaxed)
        let secondActive = cluster.endpoints[second].activeStreams.load(ordering: .relaxed)
        let firstWeight = max(cluster.traits[first].weight, 1)
        let secondWeight = max(cluster.traits[second].weight, 1)
        if rules.policy == .leastRequest {
            // Cross-multiplied: a / wa > b / wb.
            return firstActive * secondWeight > secondActive * firstWeight
        }
        let (firstLatency, secondLatency) = latencies(first, second)
        // With the stream that is about to start, or an idle endpoint would cost nothing however slow it is.
        return firstLatency * Double((firstActive + 1) * secondWeight)
            > secondLatency * Double((secondActive + 1) * firstWeight)
    }

    /// What two endpoints' answers are taken to need.
    ///
    /// One without a sample is taken to be as quick as the other: any fixed number would starve it among quick ones and
    /// flood it among slow ones. The slower one's mean fades while it gets no streams, down to the quicker one's and
    /// not below, so that the first stream that tries it again does not bring all others along.
    private func latencies(_ first: Int, _ second: Int) -> (Double, Double) {
        let firstReading = cluster.endpoints[first].latency.reading(now: now)
        let secondReading = cluster.endpoints[second].latency.reading(now: now)
        guard let firstReading, let secondReading else { return (1, 1) }
        if firstReading.mean > secondReading.mean {
            return (max(firstReading.forgiven, secondReading.mean), secondReading.mean)
        }
        return (firstReading.mean, max(secondReading.forgiven, firstReading.mean))
    }
}
