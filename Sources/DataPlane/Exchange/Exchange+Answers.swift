import HTTP2
import NIOCore
import Policy
import Telemetry

// MARK: Answers in place of a task's, and the one outcome

extension Exchange {
    /// Answers the caller in place of the task, in the form that fits how far the response has come.
    func fail(_ failure: Failure) {
        guard outcome == nil else { return }
        var failure = failure
        if failure.kind == .circuitOpen {
            // Whatever limit it was: callers that come back at once make it worse.
            failure = failure.comingBack(after: Pushback.soon(&worker.random))
        }
        switch state {
        case .fresh, .attempting:
            reply(failure)
        case .responding:
            failMidResponse(failure)
        case .over:
            break
        }
        abandonAttempts()
    }

    func reply(_ failure: Failure) {
        guard caller != nil else { return }
        state = .responding
        finish(.local(failure))
        let headers = worker.blocks.take()
        response = headers
        if let body = LocalReply.write(failure, to: headers, isGRPC: isGRPC, isHead: isHead) {
            responseBody.append(body)
            noteBuffered(body.readableBytes)
            responseBody.finish()
            withCaller { $0.submitResponse(headers, body: responseBody, on: $1) }
        } else {
            withCaller { $0.submitResponse(headers, body: nil, on: $1) }
        }
    }

    /// Ends the exchange however far its response has come: the time is over. One that is complete here, and that its
    /// caller does not take, ends with this failure if bytes of it are left, and otherwise with the status it has.
    /// - Returns: whether this failure is the outcome.
    @discardableResult
    func failNow(_ failure: Failure) -> Bool {
        switch outcome {
        case nil:
            fail(failure)
            return true
        case .grpc where !isWritten && responseBody.pending > 0, .http where !isWritten && responseBody.pending > 0:
            outcome = .local(failure)
            endResponse(failure)
            return true
        case .grpc, .http, .local:
            if !isWritten { endWithoutWindow() }
            return false
        case .cancelled, .reset:
            return false
        }
    }

    /// Whether the response's end was written, or nobody is there to hear it.
    private var isWritten: Bool {
        caller?.stream.with { $0.localEnded } ?? true
    }

    /// Ends a response whose status is decided and waits for the caller's window, as trailers need not.
    private func endWithoutWindow() {
        noteBuffered(-responseBody.dropPending())
        guard isGRPC, let trailers = responseBody.trailers else { return resetDownstream(.cancel) }
        withCaller { $0.endResponse(trailers, on: $1) }
    }

    private func failMidResponse(_ failure: Failure) {
        guard caller != nil else { return }
        finish(.local(failure))
        endResponse(failure)
    }

    /// A gRPC caller gets trailers that say what happened, behind the bytes that are here unless their time is over;
    /// others a reset, since a clean end would be a lie.
    private func endResponse(_ failure: Failure) {
        guard isGRPC else {
            resetDownstream(failure.kind == .deadlineExceeded ? .cancel : .internalError)
            return
        }
        let trailers = worker.blocks.take()
        LocalReply.writeTrailers(failure, to: trailers)
        guard failure.kind == .deadlineExceeded || failure.kind == .draining else {
            responseBody.finish(trailers: trailers)
            withCaller { $0.resumeBody($1) }
            return
        }
        // The time is over: what a slow caller has not taken by now must not keep the status from it.
        noteBuffered(-responseBody.dropPending())
        responseBody.finish()
        lastWord = trailers
        withCaller { $0.endResponse(trailers, on: $1) }
    }

    func passOnReset(_ code: ErrorCode) {
        finish(.reset(code))
        resetDownstream(code)
        abandonAttempts()
    }

    func resetDownstream(_ code: ErrorCode) {
        withCaller { $0.reset($1, code) }
    }

    func finish(_ outcome: Outcome) {
        if self.outcome != nil {
            worker.count(.invariantViolations)
            return
        }
        self.outcome = outcome
        if let pool { giveBackPlaces(pool) }
        // The others go on: until the caller has all of the response, its time may be over.
        if let paceTimer { worker.timers.cancel(paceTimer) }
        if caller == nil { countOutcome() }
    }

    /// Counts how it ended; once, when the caller's stream is gone.
    func countOutcome() {
        guard let pool, let outcome else { return }
        switch outcome {
        case .grpc(let code):
            pool.counters.add(ClusterMetric.cell(grpcStatus: code))
            if code == 0 { noteGoodEnd(pool) }
        case .http(let status):
            pool.counters.add(ClusterMetric.cell(httpStatus: status))
            if status < 500 { noteGoodEnd(pool) }
        case .local(let failure):
            pool.counters.add(ClusterMetric.cell(localReply: failure.kind))
            if let limit = failure.limit { pool.counters.add(ClusterMetric.cell(refusedAt: limit)) }
            pool.counters.add(
                isGRPC
                    ? ClusterMetric.cell(grpcStatus: failure.grpcStatus.rawValue)
                    : ClusterMetric.cell(httpStatus: failure.httpStatus))
        case .cancelled:
            pool.count(.cancelledByCaller)
            pool.counters.add(
                isGRPC
                    ? ClusterMetric.cell(grpcStatus: GRPCStatus.cancelled.rawValue)
                    : ClusterMetric.cell(httpStatus: Self.statusOfCancelled))
        case .reset(let code):
            pool.counters.add(
                isGRPC
                    ? ClusterMetric.cell(grpcStatus: code.grpcStatus.rawValue)
                    : ClusterMetric.cell(httpStatus: Failure.Kind.connectionLost.httpStatus))
        }
    }

    /// What a caller that left counts as, in the number that nginx gave it.
    private static var statusOfCancelled: Int { 499 }

    private func noteGoodEnd(_ pool: ClusterPool) {
        if extraAttempts > 0, !isHedged { pool.count(.retriesSucceeded) }
    }
}
