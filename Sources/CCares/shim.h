// The one header through which Swift sees c-ares.
#ifndef EKIDEN_CCARES_SHIM_H
#define EKIDEN_CCARES_SHIM_H

#include <ares.h>

#endif
