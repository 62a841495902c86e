-- Tags of public characters: kept from now on, and those of before. In a migration of its own: the locks of the indexes are gone by
-- now. The function has its owner's rights, since a server of the version before may have none on the new table.
CREATE FUNCTION aim_public_tag() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO public_tags (tag, character)
            SELECT NEW.tag, ch.key FROM characters ch
            WHERE ch.key = NEW.character AND ch.visibility = 'public' AND ch.deleted_at IS NULL
            ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM public_tags WHERE tag = OLD.tag AND character = OLD.character;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER public_tags_insert AFTER INSERT ON character_tags FOR EACH ROW EXECUTE FUNCTION aim_public_tag();
CREATE TRIGGER public_tags_delete AFTER DELETE ON character_tags FOR EACH ROW EXECUTE FUNCTION aim_public_tag();
-- Those of before. Meanwhile everybody reads, and whoever changes a character's tags waits: half a second for 100,000 short rows.
-- A change of visibility writes the tags anew, and so waits too.
INSERT INTO public_tags (tag, character)
    SELECT t.tag, t.character FROM character_tags t JOIN characters ch ON ch.key = t.character
    WHERE ch.visibility = 'public' AND ch.deleted_at IS NULL;
