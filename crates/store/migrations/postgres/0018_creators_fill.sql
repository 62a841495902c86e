-- Those of before. In a migration of its own: the trigger's lock is gone by now, and servers go on writing. JSON that PostgreSQL
-- cannot take apart, as of a card with a zero byte in it, names nobody.
CREATE FUNCTION aim_creator(p_details text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN nullif(p_details::json ->> 'creator', '');
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;
UPDATE characters SET creator = aim_creator(details) WHERE details LIKE '%"creator"%' AND creator IS NULL;
DROP FUNCTION aim_creator;
UPDATE character_words w
    SET words = aim_character_words(ch.name, concat_ws(' ', ch.tags, ch.description, ch.creator, u.username))
    FROM characters ch JOIN users u ON u.id = ch.owner_id WHERE ch.key = w.character;
