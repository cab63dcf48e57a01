"""Features of the three modalities: arrays in, arrays out; nothing here knows of files of the corpus."""
