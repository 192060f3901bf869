import Telemetry

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The process in the names that all Prometheus client libraries share. What the system does not tell is left out.
enum ProcessMetrics {
    static func families() -> [MetricFamily] {
        var families: [MetricFamily] = []
        func add(_ name: String, _ help: String, _ value: Double?) {
            if let value { families.append(MetricFamily(.gauge, name, help, [.init(value)])) }
        }
        add("process_start_time_seconds", "When the process started, in seconds since the Unix epoch.", startTime())
        add("process_resident_memory_bytes", "Resident memory of the process.", residentBytes())
        add("process_open_fds", "Open file descriptors of the process.", openDescriptors())
        return families
    }

    /// `starttime` of proc_pid_stat(5) counts from boot, `btime` of proc_stat(5) says when that was.
    private static func startTime() -> Double? {
        guard let stat = contents("/proc/self/stat"), let commandEnd = stat.lastIndex(of: ")") else { return nil }
        // The command's name may hold spaces; behind its parenthesis stand the fields from the third on.
        let fields = stat[stat.index(after: commandEnd)...].split(separator: " ")
        let ticksPerSecond = sysconf(CInt(_SC_CLK_TCK))
        guard fields.count > 19, let ticks = Double(fields[19]), ticksPerSecond > 0,
            let bootLine = contents("/proc/stat")?.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
            let boot = Double(bootLine.dropFirst("btime ".count))
        else { return nil }
        return boot + ticks / Double(ticksPerSecond)
    }

    private static func residentBytes() -> Double? {
        guard let fields = contents("/proc/self/statm")?.split(separator: " "), fields.count > 1,
            let pages = Double(fields[1])
        else { return nil }
        return pages * Double(sysconf(CInt(_SC_PAGESIZE)))
    }

    private static func openDescriptors() -> Double? {
        guard let directory = opendir("/proc/self/fd") else { return nil }
        defer { closedir(directory) }
        var entries = 0
        while readdir(directory) != nil { entries += 1 }
        // Without `.`, `..` and the descriptor of the directory itself.
        return Double(max(entries - 3, 0))
    }

    private static func contents(_ path: String) -> String? {
        let limit = 1_048_576
        return (try? readFile(path, atMost: limit)).map { String(decoding: $0, as: UTF8.self) }
    }
}
