"""Readers of files of one film each: subtitles, screenplays, documents of OpenSubtitles."""
