"""How many pods a corpus and its requests take, by what was measured."""
