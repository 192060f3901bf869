/// A reference that is not counted, to an object of the same worker whose owner is known to hold it for as long as
/// this is set. Counting takes a locked instruction each way, and the path of a request follows dozens of references.
///
/// Rule: whoever stores one says in a comment who holds the object, and clears it when that ends.
struct Borrowed<Object: AnyObject> {
    private let reference: Unmanaged<Object>

    init(_ object: Object) {
        reference = .passUnretained(object)
    }

    @inline(__always)
    func with<Result>(_ body: (Object) -> Result) -> Result {
        reference._withUnsafeGuaranteedRef(body)
    }
}
