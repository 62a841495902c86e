-- Who made a character is found too: the one whom its card names, and the username of its owner.
CREATE OR REPLACE FUNCTION aim_index_character() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO character_words (character, words)
        VALUES (NEW.key, aim_character_words(NEW.name, concat_ws(' ', NEW.tags, NEW.description,
            NEW.details::json ->> 'creator', (SELECT u.username FROM users u WHERE u.id = NEW.owner_id))))
        ON CONFLICT (character) DO UPDATE SET words = excluded.words;
    RETURN NULL;
END $$;
CREATE TRIGGER character_words_update_creator AFTER UPDATE OF details, owner_id ON characters
    FOR EACH ROW WHEN (NEW.details IS DISTINCT FROM OLD.details OR NEW.owner_id IS DISTINCT FROM OLD.owner_id)
    EXECUTE FUNCTION aim_index_character();
UPDATE character_words w
    SET words = aim_character_words(ch.name, concat_ws(' ', ch.tags, ch.description, ch.details::json ->> 'creator', u.username))
    FROM characters ch LEFT JOIN users u ON u.id = ch.owner_id
    WHERE ch.key = w.character AND (ch.owner_id IS NOT NULL OR ch.details IS NOT NULL);
