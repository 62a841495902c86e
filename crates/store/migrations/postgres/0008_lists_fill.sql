-- The words of what was there before. In a migration of its own: the triggers' locks are gone by now, and servers go on writing.
INSERT INTO message_words (conversation, seq, words)
    SELECT m.conversation, m.seq, aim_message_words(m.conversation, m.text) FROM messages m WHERE m.text <> ''
    ON CONFLICT DO NOTHING;
INSERT INTO character_words (character, words)
    SELECT ch.key, aim_character_words(ch.name, ch.tags || ' ' || ch.description) FROM characters ch
    ON CONFLICT DO NOTHING;
