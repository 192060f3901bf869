/// One stream of a ``Session``: what the session knows of it, and a place for the owner's own state.
///
/// A stream lives from its first HEADERS until ``SessionDelegate/session(_:didClose:code:)``; after that the session
/// has forgotten it and commands on it do nothing. Confined to its session's thread.
package final class Stream {
    package internal(set) var id: Int32
    /// The session, until the stream is closed.
    package unowned(unsafe) let session: Session
    /// Whoever serves this stream; the session never looks at it and lets go of it when the stream closes.
    package var owner: AnyObject? {
        didSet { uncountedOwner = owner.map { Unmanaged.passUnretained($0) } }
    }
    /// The owner again, for calls that need no reference of their own: valid while the owner is set.
    package private(set) var uncountedOwner: Unmanaged<AnyObject>?

    /// What is sent on this stream; nil until there is a body to send.
    package internal(set) var body: BodyQueue?
    /// The header block that was handed over for sending; held until the stream closes, since the library reads it
    /// late.
    var sentHeaders: HeaderBlock?
    var sentTrailers: HeaderBlock?
    /// Interim responses are rare; all of them are held until the stream closes.
    var sentInterim: [HeaderBlock] = []

    /// The block that is being received.
    var incoming: HeaderBlock?

    /// Whether the peer has ended its direction (END_STREAM).
    package internal(set) var remoteEnded = false
    /// Whether our direction was handed to the library up to its end.
    package internal(set) var localEnded = false
    /// Whether the first HEADERS frame left for the output: from then on the peer may act on the stream.
    package internal(set) var headersSent = false
    /// The code of the peer's RST_STREAM.
    package internal(set) var resetByPeer: ErrorCode?
    /// Whether we asked for a reset.
    package internal(set) var resetByUs = false
    /// A reset that waits for the response's head to leave: the library would drop what is queued for the stream.
    var deferredReset: ErrorCode?
    /// Whether the stream is in the session's table.
    package internal(set) var isOpen = true
    /// Whether the final header block of a response (or the request's) was received; what follows is trailers.
    var finalHeadersReceived = false
    /// Whether the library waits for ``Session/resumeBody(_:)``.
    var isDeferred = false

    /// Place in the session's table of open streams.
    var slot = 0

    /// Sends nothing more of the body: somebody else reads it.
    package func dropBody() {
        body = nil
    }

    init(id: Int32, session: Session) {
        self.id = id
        self.session = session
    }
}
