import DNS
import Policy

/// What libFuzzer calls with each input. Anything that must not happen ends the process, which the fuzzer reports.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDNS(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    checkAnswers(in: bytes)
    if let message = try? DNSMessage(parsing: bytes) { check(message) }
    return 0
}

private let server = EndpointAddress(host: "127.0.0.1", port: 53)

/// Where SwiftPM lets a program start on Linux: it renames `main`, and so libFuzzer's own is not found.
@_cdecl("DNSFuzz_main")
public func start(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
    var count = count
    var arguments = arguments
    return runFuzzer(&count, &arguments, fuzzDNS)
}

@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// What was read can be shown, and written and read again without a difference.
private func check(_ message: DNSMessage) {
    let records = message.answers + message.authorities + message.additionals
    for name in message.questions.map(\.name) + records.map(\.name) { check(name) }
    for record in records {
        switch record.data {
        case .address(let address):
            precondition(IPAddress(text: address.description) == address, "another address when shown")
        case .cname(let name):
            check(name)
        case .service(let service):
            check(service.target)
        case .soa(let authority):
            check(authority.primary)
            check(authority.mailbox)
        case .raw:
            break
        }
    }
    // What was compressed more than the writer compresses may be too long to be written.
    guard let written = message.encoded() else { return }
    precondition((try? DNSMessage(parsing: written)) == message, "another message when written and read")
}

private func check(_ name: DNSName) {
    precondition((1...DNSName.maximumWireLength).contains(name.wire.count), "a name of \(name.wire.count) bytes")
    precondition(name.labelCount <= DNSName.maximumLabels, "a name of \(name.labelCount) labels")
    precondition(!name.description.isEmpty, "a name without text")
    precondition(name.isWithin(name) && name.isWithin(.root), "a name outside of itself")
    if name.isHostName {
        precondition(DNSName(name.description) == name, "another host name when shown")
    }
}

/// Each kind of answer, to the question that the message repeats (so that more than its refusal is reached).
private func checkAnswers(in bytes: [UInt8]) {
    guard let name = (try? DNSMessage(parsing: bytes))?.questions.first?.name ?? DNSName("users.local") else { return }
    for type in [DNSRecordType.a, .aaaa, .srv] {
        switch DNSAnswer.read(bytes, name: name, type: type, server: server) {
        case .success(let answer):
            precondition(!answer.records.isEmpty, "an answer without records")
            precondition(answer.records.count <= DNSAnswer.maximumRecords, "an answer of too many records")
            precondition(answer.ttl <= UInt32(Int32.max), "a TTL of \(answer.ttl)")
            let isAddresses = answer.addresses.count == answer.records.count && type != .srv
            let isServices = answer.services.count == answer.records.count && type == .srv
            precondition(isAddresses || isServices, "an answer of another type")
        case .failure(let failure):
            precondition(!failure.description.isEmpty, "a failure without text")
        }
    }
}
