//! Playbooks as users write them, right and wrong.
