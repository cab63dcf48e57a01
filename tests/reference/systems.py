"""All systems that are compared with published code."""

from tests.reference import mmsa, repositories

REFERENCES = mmsa.REFERENCES | repositories.REFERENCES
