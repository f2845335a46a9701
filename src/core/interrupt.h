// SIGINT and SIGTERM as a request to stop at the next safe point; a second signal kills the process at once.
#pragma once

namespace moelora {

/// Installs the handlers for SIGINT and SIGTERM. Call once, at the start of a verb that has safe points to stop at.
void install_interrupt_handlers();

/// Whether a signal has come since the handlers were installed. Cheap enough to ask in every step.
bool interrupt_requested();

/// The signal that came first, or 0.
int interrupt_signal();

/// Forgets the signal that has come: it has been answered. (Of chat, where SIGINT stops an answer and not the program.)
void clear_interrupt();

/// Throws Error (kInterrupted) where a signal has come; for loops that have nothing to save.
void throw_if_interrupted();

}  // namespace moelora
