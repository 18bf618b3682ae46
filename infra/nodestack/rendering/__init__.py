"""How plans are shown: tables on a terminal and a page in a browser; nothing is decided here."""
