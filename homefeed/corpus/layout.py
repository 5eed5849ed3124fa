"""Files of the corpus and embeddings artifacts."""

CORPUS = "corpus"
CORPUS_FILE = "corpus.parquet"

EMBEDDINGS = "embeddings"
EMBEDDINGS_FILE = "embeddings.parquet"
