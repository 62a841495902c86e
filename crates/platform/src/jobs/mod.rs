//! Background jobs, one file each: its queue, attempts, backoff, and what makes it due in the database.

pub mod ai_response;
