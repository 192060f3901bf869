import Testing

/// The real binary between real peers. One test at a time: they measure time and load, and share two cores.
///
/// Each topic is a nested suite in a file of its own; `Harness` starts and ends the processes.
@Suite("End to end", .serialized, .timeLimit(.minutes(5)))
struct EndToEnd {}
