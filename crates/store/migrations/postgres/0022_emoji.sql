-- Emoji and other pictures beyond the first 65,536 characters end a word, as in the program's own words: "fire🔥" is found by "fire".
-- Squared letters among them are letters. What asks for a letter's look as a picture is no part of a word.
ALTER FUNCTION aim_words(text) RENAME TO aim_words_of_letters;
CREATE FUNCTION aim_words(p_text text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF octet_length(p_text) <> length(p_text) THEN
        RETURN aim_words_of_letters(regexp_replace(regexp_replace(left(p_text, 50000), '[\ufe00-\ufe0f]+', '', 'g'),
            '[\U0001f000-\U0001f0ff\U0001f10d-\U0001f12f\U0001f18a-\U0001faff\U000e0000-\U000e007f]+', ' ', 'g'));
    END IF;
    RETURN aim_words_of_letters(p_text);
END $$;
UPDATE message_words w SET words = aim_message_words(m.conversation, m.text) FROM messages m
    WHERE m.conversation = w.conversation AND m.seq = w.seq
        AND m.text ~ '[\ufe00-\ufe0f\U0001f000-\U0001faff\U000e0000-\U000e007f]';
UPDATE character_words w
    SET words = aim_character_words(ch.name, concat_ws(' ', ch.tags, ch.description, ch.creator, u.username))
    FROM characters ch LEFT JOIN users u ON u.id = ch.owner_id
    WHERE ch.key = w.character
        AND concat_ws(' ', ch.name, ch.tags, ch.description, ch.creator) ~ '[\ufe00-\ufe0f\U0001f000-\U0001faff\U000e0000-\U000e007f]';
