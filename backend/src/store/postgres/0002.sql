-- Which key a signed token was signed with.
ALTER TABLE auth_tokens ADD COLUMN key_id TEXT;
