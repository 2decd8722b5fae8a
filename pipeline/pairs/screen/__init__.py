"""The rules that decide which generated pairs go on."""
