// swift-tools-version: 6.2
import PackageDescription

/// Features as in the package around this one.
let features: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// What the fuzzer looks into: it follows the branches taken, and each access to memory is checked.
let fuzzed = features + [.unsafeFlags(["-sanitize=fuzzer,address"])]

// A package of its own, since its flags are for nothing else. The sources that it shares are symbolic links: so they are
// one package with the fuzzer, and open their `package` declarations to it.
let package = Package(
    name: "fuzz",
    targets: [
        .target(name: "Policy", swiftSettings: features),
        .target(name: "DNS", dependencies: ["Policy"], swiftSettings: fuzzed),
        .executableTarget(
            name: "DNSFuzz", dependencies: ["DNS", "Policy"],
            // libFuzzer brings `main`.
            swiftSettings: fuzzed + [.unsafeFlags(["-parse-as-library"])],
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer,address"])]),
    ],
    swiftLanguageModes: [.v6]
)
