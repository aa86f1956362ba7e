"""The table of rules: one operation, one rule, one line of why, and a model that runs each."""

import ast
import collections
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import convlin.models
from convlin import Refused, fully_convolutional
from convlin.models.dense.rules.all_rules import RULES, TABLE
from convlin.models.graph.operations import name_of
from convlin.models.graph.rule import Rule, Table
from convlin.models.graph.traced import trace
from dense_oracle import photograph, worst
from models.graph.every_operation import EVERY, NEVER, Running

ROOM = Path(convlin.models.__file__).parent
OPERATIONS = [name for rule in RULES for name in rule.operations]
RIGHT = 1e-10  # three layers of at most 252 terms, in float64; a fault is off by 1e-3 or more
