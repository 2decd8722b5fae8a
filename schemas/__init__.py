"""The data dictionary: one pandera model a table, each with a version.

``documents``  RawDocuments -> Documents -> UniqueDocuments, Redactions
``chunks``     Chunks
``splits``     Splits
``pairs``      SeedTasks, Pairs, SettledPairs, Examples
``reviews``    Reviews
``evaluation`` Answers
``drift``      DriftFeatures
``exchanges``  Exchanges
``drops``      Drops: the ledger of every filter
"""
