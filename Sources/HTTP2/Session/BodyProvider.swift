import CNghttp2
import NIOCore

/// How the library pulls a stream's body: it asks how many bytes there are, and they are copied once, from the
/// ``BodyQueue`` to the session's output behind the frame header (`NGHTTP2_DATA_FLAG_NO_COPY`).
enum BodyProvider {
    static func make(_ stream: Stream) -> nghttp2_data_provider {
        nghttp2_data_provider(
            source: nghttp2_data_source(ptr: Unmanaged.passUnretained(stream).toOpaque()),
            read_callback: { _, _, _, length, flags, source, _ in
                guard let pointer = source?.pointee.ptr, let flags else {
                    return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
                }
                return Unmanaged<Stream>.fromOpaque(pointer)._withUnsafeGuaranteedRef {
                    BodyProvider.announce($0, upTo: length, &flags.pointee)
                }
            })
    }

    /// Says how many bytes the next DATA frame carries.
    private static func announce(_ stream: Stream, upTo length: Int, _ flags: inout UInt32) -> Int {
        // After its end nothing is asked for, unless we misjudge the library.
        guard let body = stream.body, !stream.localEnded else {
            return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
        }
        let count = min(length, body.pending)
        if count == 0, !body.isFinished {
            stream.isDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        flags |= UInt32(NGHTTP2_DATA_FLAG_NO_COPY.rawValue)
        if body.isFinished, count == body.pending {
            flags |= UInt32(NGHTTP2_DATA_FLAG_EOF.rawValue)
            stream.localEnded = true
            if let trailers = body.trailers {
                flags |= UInt32(NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue)
                stream.sentTrailers = trailers
                if nghttp2_submit_trailer(stream.session.raw, stream.id, trailers.fields, trailers.count) != 0 {
                    return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
                }
            }
        }
        return count
    }

    /// Writes the frame header and the announced bytes.
    static func write(_ stream: Stream, of session: Session, frameHeader: UnsafePointer<UInt8>, count: Int) {
        session.output.writeBytes(UnsafeRawBufferPointer(start: frameHeader, count: 9))
        guard count > 0 else { return }
        stream.body?.read(count, into: &session.output)
        session.delegate.session(session, didSendData: count, on: stream)
    }
}
