"""A hub for models: the parts of the Hugging Face Hub's HTTP API that fetching a repository needs.

`python -m nodestack.clouds.local.hub --port 8090 --log FILE` serves the tiny model. What it answers follows the
documentation of the Hub API and what `huggingface_hub` reads: model info with files' metadata at a revision, the tree,
and files by commit with ranges and etags. It offers no Xet storage, so clients use plain HTTP.
"""
