// swift-tools-version: 6.2
import PackageDescription

// Microbenchmarks, in a package of their own so that nobody who builds Ekiden pays for their tools. The sources under
// test are symbolic links: inside one package, `package` declarations can be reached.
let package = Package(
    name: "ekiden-benchmarks",
    dependencies: [
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.0", traits: [])
    ],
    targets: [
        .target(
            name: "Policy",
            swiftSettings: [
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("InternalImportsByDefault"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
            ]),
        .executableTarget(
            name: "Balancing",
            dependencies: ["Policy", .product(name: "Benchmark", package: "benchmark")],
            path: "Benchmarks/Balancing",
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    ],
    swiftLanguageModes: [.v6]
)
