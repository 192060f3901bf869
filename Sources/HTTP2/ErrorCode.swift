/// The error codes of HTTP/2 (RFC 9113, section 7), as they travel in RST_STREAM and GOAWAY. Unknown codes are kept.
package struct ErrorCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32

    package init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    package static let noError = ErrorCode(rawValue: 0)
    package static let protocolError = ErrorCode(rawValue: 1)
    package static let internalError = ErrorCode(rawValue: 2)
    package static let flowControlError = ErrorCode(rawValue: 3)
    package static let settingsTimeout = ErrorCode(rawValue: 4)
    package static let streamClosed = ErrorCode(rawValue: 5)
    package static let frameSizeError = ErrorCode(rawValue: 6)
    package static let refusedStream = ErrorCode(rawValue: 7)
    package static let cancel = ErrorCode(rawValue: 8)
    package static let compressionError = ErrorCode(rawValue: 9)
    package static let connectError = ErrorCode(rawValue: 10)
    package static let enhanceYourCalm = ErrorCode(rawValue: 11)
    package static let inadequateSecurity = ErrorCode(rawValue: 12)
    package static let http11Required = ErrorCode(rawValue: 13)

    package var description: String {
        switch rawValue {
        case 0: "NO_ERROR"
        case 1: "PROTOCOL_ERROR"
        case 2: "INTERNAL_ERROR"
        case 3: "FLOW_CONTROL_ERROR"
        case 4: "SETTINGS_TIMEOUT"
        case 5: "STREAM_CLOSED"
        case 6: "FRAME_SIZE_ERROR"
        case 7: "REFUSED_STREAM"
        case 8: "CANCEL"
        case 9: "COMPRESSION_ERROR"
        case 10: "CONNECT_ERROR"
        case 11: "ENHANCE_YOUR_CALM"
        case 12: "INADEQUATE_SECURITY"
        case 13: "HTTP_1_1_REQUIRED"
        default: "error code \(rawValue)"
        }
    }
}
