"""The data dictionary: one pandera model a table, each with a version.

``documents``  RawDocuments -> Documents -> UniqueDocuments, Redactions, Chunks
``pairs``      Splits; SeedTasks, Pairs, Reviews, SettledPairs, Examples
``evaluation`` Answers, and what else is measured of a model
``drift``      DriftFeatures
``exchanges``  Exchanges
``base``       Drops: the ledger of every filter
"""
