#pragma once

// Vector operations must vanish into the loops that use them: a call would spill every register.
#define CHAINRULE_INLINE [[gnu::always_inline]] static inline
