//! The order of turns and jobs, the bound on bytes, closing and reentry.
