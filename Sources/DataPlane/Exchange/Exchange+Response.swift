import HTTP2
import Policy
import Telemetry

// MARK: What the tasks say

extension Exchange {
    /// How long a response head waits for what follows it, at most. Nanoseconds.
    private static var holdMax: Int64 { 1_000_000_000 }

    func receiveInformational(_ headers: HeaderBlock, from attempt: Attempt) {
        guard let caller, outcome == nil, state == .attempting else { return worker.blocks.give(headers) }
        let interimMax = caller.connection.with { $0.settings.limits.maxInformationalResponses }
        guard attempt.interimCount < interimMax, !headers.isTruncated else {
            worker.blocks.give(headers)
            let failure = Failure(
                .upstreamProtocolError, "\(attempt.endpointName) sent too many or too large interim responses")
            attempt.conclude(.lost, in: pool)
            return endOrRetry(after: .lost, of: attempt) { fail(failure) }
        }
        attempt.interimCount += 1
        headers.remove(.hopByHop)
        interim.append(headers)
        withCaller { $0.submitInformational(headers, on: $1) }
    }

    /// The final response head; `endStream` for trailers-only and bodiless responses.
    func receiveHead(_ headers: HeaderBlock, endStream: Bool, from attempt: Attempt) {
        guard caller != nil, outcome == nil, state == .attempting else { return worker.blocks.give(headers) }
        if let failure = flaw(of: headers, attempt) {
            worker.blocks.give(headers)
            attempt.conclude(.lost, in: pool)
            return endOrRetry(after: .lost, of: attempt) { fail(failure) }
        }
        if !isPlain, plan.readsStatuses {
            let result = result(of: headers, trailers: endStream ? headers : nil)
            if let result, isRetried(result, headers, attempt) { return worker.blocks.give(headers) }
            if result == nil, isGRPC, plan.awaitsTrailers(isHedged: isHedged), mayBeRetried(attempt) {
                // The status is in trailers to come: until then the response is nobody's yet.
                attempt.heldHead = headers
                attempt.armTimer(at: worker.turn.now + Self.holdMax)
                return
            }
        }
        commit(attempt, headers, endStream: endStream)
    }

    /// Whether a status to come can still lead to another attempt. A caller that has more to say may wait for the head
    /// before it says it.
    private func mayBeRetried(_ attempt: Attempt) -> Bool {
        let hedging = isHedged ? plan.settings.hedging : nil
        let most = hedging?.maxAttempts ?? plan.settings.retry.maxAttempts
        return requestBody.isFinished
            && (hasHopefulAttempt(besides: attempt) || extraAttempts + 1 < most && requestIsHeld)
    }

    /// Whether the response's head promises a good answer.
    var answersWell: Bool {
        guard let status = response?.status else { return false }
        return isGRPC ? status == 200 : AttemptResult.http(status).isGood
    }

    private func isRetried(_ result: AttemptResult, _ last: HeaderBlock, _ attempt: Attempt) -> Bool {
        guard let ground = groundForRetry(result) else { return false }
        let isHeld = retries(
            after: ground, of: attempt, pushback: last.value(.grpcRetryPushback).map { RetryPushback($0) })
        if isHeld { attempt.conclude(result, in: pool) }
        return isHeld
    }

    /// What of a result the policy covers: to a gRPC caller an HTTP status means the gRPC status that its library makes
    /// of it, too.
    private func groundForRetry(_ result: AttemptResult) -> AttemptResult? {
        func mayRetry(_ result: AttemptResult) -> Bool {
            plan.mayRetry(result, isIdempotent: isIdempotent, isHedged: isHedged)
        }
        if mayRetry(result) { return result }
        guard isGRPC, case .http(let status) = result else { return nil }
        let meaning = AttemptResult.grpc(GRPCStatus(httpStatus: status).rawValue)
        return mayRetry(meaning) ? meaning : nil
    }

    /// How an attempt came out; nil while that is still to come in trailers.
    private func result(of headers: HeaderBlock, trailers: HeaderBlock?) -> AttemptResult? {
        let status = headers.status ?? 0
        guard isGRPC else { return .http(status) }
        if let code = (trailers?.value(.grpcStatus) ?? headers.value(.grpcStatus)).flatMap(RequestFacts.number) {
            return .grpc(code)
        }
        // Something in between that speaks no gRPC.
        if status != 200 { return .http(status) }
        return trailers == nil ? nil : .grpc(GRPCStatus.unknown.rawValue)
    }

    /// The response of this attempt is the caller's: nothing is tried again.
    private func commit(_ attempt: Attempt, _ headers: HeaderBlock, endStream: Bool) {
        guard let caller else { return worker.blocks.give(headers) }
        state = .responding
        winner = attempt
        response = headers
        attempt.cancelTimer()
        if !others.isEmpty {
            if attempt !== primary { pool?.count(.hedgesWon) }
            abandonAttempts(but: attempt)
        }
        if let paceTimer { worker.timers.cancel(paceTimer) }
        giveBackRetry()
        if queuePlace != nil, let pool { giveBackQueuePlace(pool) }
        commitRequest()
        headers.remove(.hopByHop)
        if endStream { finishWithResponse(attempt, headers: headers, trailers: headers) }
        let body = endStream ? nil : responseBody
        caller.connection.with { connection in
            if connection.settings.via { headers.append("via", literal: "2 ekiden") }
            caller.stream.with { connection.submitResponse(headers, body: body, on: $0) }
        }
    }

    func commitHeld(_ attempt: Attempt) {
        guard let headers = attempt.heldHead else { return }
        attempt.heldHead = nil
        commit(attempt, headers, endStream: false)
    }

    /// What is wrong with a response head, if anything.
    private func flaw(of headers: HeaderBlock, _ attempt: Attempt) -> Failure? {
        let name = attempt.endpointName
        if headers.isTruncated {
            return Failure(
                .responseHeadersTooLarge, "response headers of \(name) exceed the limit (\(headers.listSize) bytes)")
        }
        if let status = headers.status, status >= 200, status <= 599 { return nil }
        return Failure(.upstreamProtocolError, "malformed response of \(name): no valid :status")
    }

    /// - Returns: whether the bytes were taken.
    func receiveResponseData(_ count: Int, of session: Session, from attempt: Attempt) -> Bool {
        guard caller != nil, outcome == nil else { return false }
        if attempt.heldHead != nil { commitHeld(attempt) }
        guard winner === attempt else { return false }
        noteMovement(now: session.inputNow)
        session.takeData(into: responseBody)
        noteBuffered(count)
        withCaller { $0.resumeBody($1) }
        return true
    }

    func receiveResponseEnd(trailers: HeaderBlock?, from attempt: Attempt) {
        guard caller != nil, outcome == nil else {
            if let trailers { worker.blocks.give(trailers) }
            return
        }
        if let trailers, trailers.isTruncated {
            let size = trailers.listSize
            worker.blocks.give(trailers)
            attempt.conclude(.lost, in: pool)
            let failure = Failure(
                .responseHeadersTooLarge,
                "response trailers of \(attempt.endpointName) exceed the limit (\(size) bytes)")
            return endOrRetry(after: .lost, of: attempt) { fail(failure) }
        }
        if let held = attempt.heldHead {
            if let trailers, let result = result(of: held, trailers: trailers), isRetried(result, trailers, attempt) {
                return worker.blocks.give(trailers)
            }
            commitHeld(attempt)
        }
        guard winner === attempt, let response else {
            if let trailers { worker.blocks.give(trailers) }
            return
        }
        trailers?.remove(.hopByHop)
        finishWithResponse(attempt, headers: response, trailers: trailers)
        responseBody.finish(trailers: trailers)
        withCaller { $0.resumeBody($1) }
    }

    private func finishWithResponse(_ attempt: Attempt, headers: HeaderBlock, trailers: HeaderBlock?) {
        if isGRPC {
            let code = (trailers ?? headers).value(.grpcStatus) ?? headers.value(.grpcStatus)
            if let code, let number = RequestFacts.number(code) {
                attempt.conclude(.grpc(number), in: pool)
                finish(.grpc(number))
            } else {
                pool?.count(.missingGRPCStatus)
                let status = headers.status ?? 0
                attempt.conclude(status == 200 ? .grpc(GRPCStatus.unknown.rawValue) : .http(status), in: pool)
                finish(.grpc(GRPCStatus(httpStatus: status).rawValue))
            }
        } else {
            let status = headers.status ?? 200
            attempt.conclude(.http(status), in: pool)
            finish(.http(status))
        }
        // A request that is still being sent has its answer: the task need not hear the rest.
        attempt.withTask { connection, stream in
            if !stream.localEnded { connection.reset(stream, .noError) }
        }
    }
}
