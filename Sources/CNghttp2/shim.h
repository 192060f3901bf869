// The one header through which Swift sees libnghttp2.
//
// Some setters were back-ported by distributions into versions whose number does not tell (Debian's 1.52.0 has both
// of those below, upstream's 1.52.0 has neither). They are therefore declared weak and asked for by symbol: a
// library without one links and runs, and the caller is told.
#ifndef EKIDEN_CNGHTTP2_SHIM_H
#define EKIDEN_CNGHTTP2_SHIM_H

#include <stdbool.h>
#include <nghttp2/nghttp2.h>

extern void nghttp2_option_set_stream_reset_rate_limit(nghttp2_option *option, uint64_t burst, uint64_t rate)
    __attribute__((weak));
extern void nghttp2_option_set_max_continuations(nghttp2_option *option, size_t val) __attribute__((weak));
extern void nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(nghttp2_option *option, int val)
    __attribute__((weak));

static inline bool ekiden_option_set_stream_reset_rate_limit(nghttp2_option *option, uint64_t burst, uint64_t rate) {
  if (!nghttp2_option_set_stream_reset_rate_limit) return false;
  nghttp2_option_set_stream_reset_rate_limit(option, burst, rate);
  return true;
}

static inline bool ekiden_option_set_max_continuations(nghttp2_option *option, size_t value) {
  if (!nghttp2_option_set_max_continuations) return false;
  nghttp2_option_set_max_continuations(option, value);
  return true;
}

static inline bool ekiden_option_set_lenient_whitespace(nghttp2_option *option) {
  if (!nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation) return false;
  nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
  return true;
}

#endif
